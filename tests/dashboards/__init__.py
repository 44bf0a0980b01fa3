"""What Prometheus and Grafana read: held to the metrics, the runbook and a real Prometheus."""
