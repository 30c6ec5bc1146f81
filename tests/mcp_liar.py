"""An MCP server that does what it should not: `mcp_liar.py '{"call": WORD, "start": WORD, "offers": [TOOL, ...]}'`.

It knows nothing but the standard library, so that it starts at once and can send what the SDK would never send.
"""

import json
import os
import signal
import subprocess
import sys

TOLD = json.loads(sys.argv[1])
OBJECT = {"type": "object", "properties": {}}
TOOLS = TOLD.get("offers", [{"name": "act", "inputSchema": OBJECT}])
listings = 0


def send(message):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def raw(text):
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        os._exit(0)


def text(words, **more):
    return {"content": [{"type": "text", "text": words}], **more}


def misbehave(word, number):
    """Whether the request is dealt with."""
    if word == "hang":
        signal.pause()
    elif word == "die":
        sys.stderr.write(f"out of paper, {os.environ.get('DESK_TOKEN')}\n")
        sys.stderr.flush()
        os._exit(3)
    elif word == "flood":
        while True:
            raw(
                '{"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "x"}}\n' * 99
            )
    elif word == "endless line":
        while True:
            raw("x" * 65536)
    elif word == "rubbish":
        while True:
            raw("Traceback: what is a message?\n")
    elif word == "greet":
        raw("welcome to the server\n\nversion 3\n{}\n")
        return False
    elif word == "close":
        os.close(1)
        signal.pause()
    elif word == "other id":
        for other in (number + 1000, str(number) + "x", None, -1):
            send({"id": other, "result": text("a lie")})
    elif word == "no result":
        send({"id": number, "result": {"content": 5}})
    elif word == "deep":
        nested = '{"a":' * 5000 + "1" + "}" * 5000
        raw(f'{{"jsonrpc": "2.0", "id": {number}, "result": {nested}}}\n')
    elif word in ("refused", "broken"):
        send({"id": number, "error": {"code": -32602 if word == "refused" else -32603, "message": f"it is {word}"}})
    elif word == "asks":
        send({"id": "s1", "method": "sampling/createMessage", "params": {"messages": [], "maxTokens": 5}})
        send({"id": "s2", "method": "roots/list"})
        return False
    else:
        return False
    return True


def listed():
    global listings
    listings += 1
    if TOLD.get("list") == "pages":
        return {"tools": TOOLS, "nextCursor": str(listings)}
    if TOLD.get("list") == "many":
        return {"tools": [{"name": f"t{number}", "inputSchema": OBJECT} for number in range(600)]}
    if TOLD.get("list") == "changes":
        return {"tools": [{**TOOLS[0], "description": f"look number {listings}"}]}
    return {"tools": TOOLS}


def answer(message):
    method, number = message.get("method"), message.get("id")
    if number is None or method is None:
        return
    if method == "initialize":
        if not misbehave(TOLD.get("start"), number):
            info = {"protocolVersion": message["params"]["protocolVersion"], "capabilities": {"tools": {}}}
            send({"id": number, "result": {**info, "serverInfo": {"name": "liar", "version": "1"}}})
    elif method == "tools/list":
        if not misbehave(TOLD.get("list"), number):
            send({"id": number, "result": listed()})
    elif method == "tools/call":
        if TOLD.get("count"):
            with open(TOLD["count"], "a") as log:
                log.write("call\n")
        if not misbehave(TOLD.get("call"), number):
            if TOLD.get("call") == "tells of change":
                send({"method": "notifications/tools/list_changed"})
            send({"id": number, "result": TOLD.get("result", text("done"))})
    elif TOLD.get("start") == "hang":
        signal.pause()
    else:
        send({"id": number, "error": {"code": -32601, "message": "no such method"}})


if __name__ == "__main__":
    if TOLD.get("pids"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child = subprocess.Popen(["sleep", "1000"])
        with open(TOLD["pids"], "w") as file:
            file.write(f"{os.getpid()} {child.pid}")
    for line in sys.stdin:
        answer(json.loads(line))
    while TOLD.get("stays"):
        signal.pause()
