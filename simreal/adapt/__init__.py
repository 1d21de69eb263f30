"""From a policy that survives to one that fits.

- Training on among identified robots: `posterior_override`, `worlds`, `finetune`; what a policy was not
  trained for: `outside_trained`.
- Residual models from logs: `residual_data`, `residual_split`, `residual_fit`, `residual_simulator`.
- Learning from logs alone: `transitions`, `coverage`, `offline`, `finetune_offline`.
- Learning on the robot: `finetune_online`, `online_session` and what it holds: `robot_budget`,
  `robot_episode`, `robot_trial`, `explorer`, `action_bounds`, `action_filter`, `limit_monitor`,
  `online_learner`.
- Encoders that see simulator and robot alike: `alignment`, by Python and `simreal bench alignment`.
- What a policy that adapts by itself finds out: `latent`.
- Whether any of it is worse: `gate`, `gate_measures`, `gate_page`, `replayed`, `flight_comparison`.
"""
