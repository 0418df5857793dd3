"""What is built once per checkout from system packages and shipped with the product, never committed."""
