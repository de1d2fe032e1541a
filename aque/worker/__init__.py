"""What runs tasks: one thread, one loop, one blocking call."""
