"""What tests share: drawn images, models, peers."""
