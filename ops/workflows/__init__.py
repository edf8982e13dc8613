"""Workflows: durable executions of definitions in the Amazon States Language."""
