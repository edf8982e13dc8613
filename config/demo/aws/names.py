"""What is called what at the demo's AWS; imports nothing of moto's, which takes long."""

ACCOUNT = "123456789012"  # moto's


def queue_url(address: str, queue: str) -> str:
    return f"{address}/{ACCOUNT}/{queue}"
