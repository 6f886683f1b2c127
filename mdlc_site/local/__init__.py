"""Run the whole product on one machine: real PostgreSQL and Valkey from wheels, and all processes under one manager."""
