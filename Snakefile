# What `snakemake` finds here: the workflow is in workflow/Snakefile.
include: "workflow/Snakefile"


# Snakemake forgets which target an included file would make.
workflow.default_target = workflow.modifier.modify_rulename("all")
