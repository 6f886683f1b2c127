"""Reads for pages and the API, each with a tested number of SQL queries."""
