# Draw which device stores which subsets: one file per allocation, with all its seeds.


rule allocate:
    output:
        jobs.file("allocate", "{allocation}", "nc"),
    log:
        f"{ROOT}/logs/allocate/{{allocation}}.log",
    localrule: True
    conda:
        "../envs/byzcode.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        spec=jobs.allocation_spec,
    message:
        "allocate {wildcards.allocation}"
    shell:
        "byzcode allocate --spec {params.spec:q} --out {output:q} > {log:q} 2>&1"
