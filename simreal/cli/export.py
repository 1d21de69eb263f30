"""`simreal export` and `simreal inspect`: the policy file, made and looked into."""

from pathlib import Path

import click

from simreal.cli_types import PATH, console, errors, print_json
from simreal.errors import UserError


@click.command()
@click.argument("run_path", metavar="RUN", type=PATH)
@click.option(
    "-o", "--output", type=PATH, default=Path("policy.onnx"), show_default=True, help="File to write."
)
@click.option("--force", is_flag=True, help="Even an adapted policy that `simreal gate` keeps back.")
def export(run_path: Path, output: Path, force: bool) -> None:
    """Export the newest policy of RUN to one ONNX file.

    An adapted policy must have been found not worse than its base by `simreal gate`.
    """
    from simreal.export import export as export_run
    from simreal.run import Run
    from simreal.run_verdict import BASE, reasons_against_export

    run = Run.open(run_path)
    if reasons := reasons_against_export(run):
        listed = "\n  ".join(reasons)
        if not force:
            base = run_path / BASE
            raise UserError(
                f"{run_path}: not exported (--force would):\n  {listed}\nthe policy that it began from: "
                + (f"simreal export {base}" if base.is_dir() else "no longer in its folder")
            )
        errors.print(f"exported in spite of:\n  {listed}", style="yellow", soft_wrap=True)
    if run.unfinished:
        errors.print(f"note: {run.path}: {run.unfinished}", style="yellow", soft_wrap=True)
    errors.print(f"{run.path}: making the graph, and comparing it with the agent", soft_wrap=True)
    made = export_run(run, output)
    console.print(
        f"{made.path}: graph and agent differ by at most {made.parity:.1e} over "
        f"{made.observations} observations\nnext: simreal inspect {made.path}; "
        f"simreal deploy {made.path} --driver sim --log flight.mcap",
        soft_wrap=True,
    )


@click.command()
@click.argument("policy", type=PATH)
@click.option("--json", "as_json", is_flag=True, help="Print the contract for programs.")
@click.option("--identified", type=PATH, help="Hold it against what `simreal identify` wrote.")
def inspect(policy: Path, as_json: bool, identified: Path | None) -> None:
    """Print what POLICY, an exported .onnx file, believes about its robot."""
    from simreal.cli.contract_tables import describe_contract
    from simreal.deploy.policy import load_policy

    loaded = load_policy(policy)
    if as_json:
        print_json(loaded.contract.model_dump(mode="json"))
        return
    for table in describe_contract(loaded.contract):
        console.print(table)
    mismatch = loaded.golden_mismatch()
    verdict = "reproduced on this machine" if mismatch is None else f"NOT reproduced: {mismatch}"
    console.print(f"golden vectors: {len(loaded.golden.action)} steps, {verdict}")
    if identified is not None:
        from simreal.adapt.outside_trained import outside_trained
        from simreal.randomization.posterior import read_posterior

        remarks = outside_trained(read_posterior(identified), loaded.contract)
        for remark in remarks or ["your robot lies within the ranges this policy was trained for"]:
            console.print(remark, soft_wrap=True)
