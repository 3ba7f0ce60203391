# Bring the files of a data set, by the first route of the configuration that works, and check them.


rule data:
    output:
        jobs.file("data", "{data}", "sha256"),
    log:
        f"{ROOT}/logs/data/{{data}}.log",
    localrule: True
    conda:
        "../envs/byzcode.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=60,
    params:
        routes=jobs.data_routes,
        results=jobs.results_folder,
    message:
        "data {wildcards.data}"
    shell:
        "byzcode data {wildcards.data} --results {params.results} {params.routes} > {log:q} 2>&1"
