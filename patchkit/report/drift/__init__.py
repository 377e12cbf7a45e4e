"""Drift reports for people."""
