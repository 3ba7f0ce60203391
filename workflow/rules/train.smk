# Train a run, with all its seeds.


rule train:
    input:
        allocation=allocation_of,
    output:
        f"{ROOT}/trajectories/{{run}}.nc",
    log:
        f"{ROOT}/logs/train/{{run}}.log",
    conda:
        "../envs/byzcode.yaml"
    threads: 1
    resources:
        mem_mb=memory,
        runtime=minutes,
        gpu=1 if DEVICE == "cuda" else 0,
    params:
        spec=run_spec,
        code=code_of("train"),
        device=device,
    message:
        "train {wildcards.run}"
    shell:
        "byzcode train --spec {params.spec:q} --allocation {input.allocation:q} --out {output:q}"
        " --device {params.device} --threads {threads} > {log:q} 2>&1"
