"""Grafana dashboards, Prometheus rules and the runbook.  Knows metric names only."""
