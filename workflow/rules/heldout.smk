# Test the claims on held-out seeds (first_seed in the configuration): one table of verdicts.


rule heldout:
    input:
        expand(rules.claims.output, study=CLAIMED),
    output:
        table=jobs.file("heldout", "heldout", "csv"),
        checksums=jobs.file("heldout", "heldout", "sha256"),
    log:
        f"{ROOT}/logs/heldout.log",
    localrule: True
    conda:
        "../envs/byzcode.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        request=jobs.heldout_request,
        argument=jobs.argument(jobs.heldout_request),
        results=jobs.results_folder,
    message:
        "heldout"
    shell:
        "byzcode heldout --request {params.argument:q} --results {params.results} --out {output.table:q} > {log:q} 2>&1"
