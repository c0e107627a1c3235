"""A plain server on Python's `websockets`: tells about each connection on standard output, and does what it is told."""

import asyncio
import json

import websockets


async def handle(websocket, path=None):
    request = getattr(websocket, "request", None)
    headers = request.headers if request else websocket.request_headers
    about = {
        "path": request.path if request else websocket.path,
        "key": headers.get("X-Secure-WebSocket-Public-Key"),
        "subprotocol": websocket.subprotocol,
    }
    print(json.dumps(about), flush=True)
    try:
        async for message in websocket:
            if message == "close":
                await websocket.close(4321, "enough")
            elif message == "ping":
                await (await websocket.ping(b"from the server"))
                await websocket.send("ponged")
            else:
                await websocket.send(message)
    except websockets.ConnectionClosedError:
        pass
    print(json.dumps({"code": websocket.close_code, "reason": websocket.close_reason}), flush=True)


async def main():
    options = {"subprotocols": ["chat"], "max_size": None}
    async with websockets.serve(handle, "127.0.0.1", 0, **options) as server:
        print(json.dumps({"port": next(iter(server.sockets)).getsockname()[1]}), flush=True)
        await asyncio.Future()


asyncio.run(main())
