# Test the claims of a study: one table per study.


rule claims:
    input:
        jobs.trajectories_of_claims,
    output:
        table=jobs.file("claims", "{study}", "csv"),
        checksums=jobs.file("claims", "{study}", "sha256"),
    log:
        f"{ROOT}/logs/claims/{{study}}.log",
    localrule: True
    conda:
        "../envs/byzcode.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        request=jobs.claims_request,
        argument=jobs.argument(jobs.claims_request),
        results=jobs.results_folder,
    message:
        "claims {wildcards.study}"
    shell:
        "byzcode claims --request {params.argument:q} --results {params.results} --out {output.table:q} > {log:q} 2>&1"
