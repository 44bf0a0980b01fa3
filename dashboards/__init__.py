"""Grafana dashboards, Prometheus rules and the runbook, as data files.  Knows metric names only."""
