"""What the deployment tests run on: systemd, Kubernetes, images, monitoring."""
