"""Separation over HTTP, with a web page: http://127.0.0.1:8080

    python serve.py --model_path checkpoints/dprnn/best.ckpt
    curl -F file=@talk.mp3 http://127.0.0.1:8080/v1/separate
    curl -H "Content-Type: audio/wav" -H "Accept: application/zip" --data-binary @talk.wav \\
        http://127.0.0.1:8080/invocations > voices.zip
"""

from src.core.errors import UserError, run_cli


def main(argv):
    from src.core.command_line import parse_args
    from src.service.config import ServeConfig

    config = parse_args(ServeConfig, argv)
    try:
        from src.service.server import serve
    except ModuleNotFoundError as error:
        if error.name.split(".")[0] == "src":
            raise
        raise UserError(f"{error.name} is missing: pip install -r requirements-serve.txt") from None
    serve(config)


if __name__ == "__main__":
    run_cli(main)
