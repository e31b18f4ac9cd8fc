"""The engines that run one Flower ServerApp and ClientApp: `run_apps` of `fairfed.engines.run`."""
