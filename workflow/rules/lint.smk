# In place of byzcode where it is not installed, for `snakemake --lint`: rules without a plan.


class NoJobs:
    root = "results"
    device = "cpu"
    trained = ()
    multiverse_files = []

    class plan:
        studies = claimed = figures = ()

    def file(self, stage, name, suffix):
        return f"results/{stage}/{name}.{suffix}"

    def __getattr__(self, name):
        return lambda *_: []


jobs = NoJobs()
