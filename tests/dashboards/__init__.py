"""What Prometheus and Grafana read: held to the metrics, to the runbook and to a real Prometheus."""
