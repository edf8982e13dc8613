"""Where these tests' machines stand."""

from ops.workflows.aws.places import Place

HERE = Place("us-east-1", "123456789012")
