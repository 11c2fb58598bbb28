"""Defences against adversarial inputs."""
