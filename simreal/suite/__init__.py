"""dm_control's tasks: one adapter, on the batch where a task's own code allows it."""
