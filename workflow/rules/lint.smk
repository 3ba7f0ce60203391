# An empty plan for `snakemake --lint` where byzcode is not installed.


class NoJobs:
    root = "results"
    device = "cpu"
    trained = ()
    multiverse_files = []

    class plan:
        studies = claimed = figures = ()
        held_out = False

    def file(self, stage, name, suffix):
        return f"results/{stage}/{name}.{suffix}"

    def __getattr__(self, name):
        return lambda *_: []


jobs = NoJobs()
