# Train a run, with all its seeds.


rule train:
    input:
        allocation=jobs.allocation_of_run,
        data=ancient(jobs.data_of_run),  # pinned files: bringing them again trains nothing again
    output:
        jobs.file("train", "{run}", "nc"),
    log:
        f"{ROOT}/logs/train/{{run}}.log",
    conda:
        "../envs/byzcode.yaml"
    threads: 1
    resources:
        mem_mb=jobs.memory,
        runtime=jobs.minutes,
        gpu=1 if jobs.device == "cuda" else 0,
    params:
        spec=jobs.run_spec,
        device=jobs.run_device,
        data=jobs.data_folder,
    message:
        "train {wildcards.run}"
    shell:
        "byzcode train --spec {params.spec:q} --allocation {input.allocation:q} --out {output:q}"
        " --data {params.data:q} --device {params.device} --threads {threads} > {log:q} 2>&1"
