"""Records of a run: TensorBoard event files and MLflow runs.

Nothing is imported here, so that a run without MLflow pays nothing for it. Import the module that is needed:

    raydnn.tracking.event_file     EventFileWriter, read_scalars (needs tensorboardX)
    raydnn.tracking.settings       MLflowSettings (needs nothing)
    raydnn.tracking.server         whether MLflow's server answers (needs nothing)
    raydnn.tracking.mlflow_run     MlflowRun (loads MLflow on its own thread, at the first use)
    raydnn.tracking.pyfunc_model   the code that MLflow stores and runs with a logged export
"""

__all__: list[str] = []
