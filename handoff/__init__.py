"""How models are handed over: policies, handoffs, checklists, sign-offs, gates, tests, deployments."""
