# Summarise a study: one table with plateau, rate and cost of each run.


rule summarise:
    input:
        jobs.trajectories_of_study,
    output:
        table=jobs.file("summarise", "{study}", "csv"),
        checksums=jobs.file("summarise", "{study}", "sha256"),
    log:
        f"{ROOT}/logs/summarise/{{study}}.log",
    localrule: True
    conda:
        "../envs/byzcode.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        request=jobs.summary_request,
        argument=jobs.argument(jobs.summary_request),
        results=jobs.results_folder,
    message:
        "summarise {wildcards.study}"
    shell:
        "byzcode summarise --request {params.argument:q} --results {params.results} --out {output.table:q} > {log:q} 2>&1"
