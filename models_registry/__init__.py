"""What is handed over: registered models, versions, artifacts, schemas; and the environments they move between."""
