# SPDX-License-Identifier: Apache-2.0
"""A component that asks the agent enclave from inside, over the agent's edge; exit 0 if each answer is
right and signed."""

import http.client
import json
import socket

REQUESTS = 5


class Edge(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect("/run/edges/agent/agent.sock")


for number in range(REQUESTS):
    connection = Edge("agent", timeout=300)
    body = json.dumps({"id": f"guest-{number}", "code": f"print(6 * {number})"})
    connection.request("POST", "/run", body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    answer = json.loads(response.read())
    assert response.status == 200, answer
    assert answer["result"] == {"output": f"{6 * number}\n", "error": None}, answer
    assert "BEGIN SSH SIGNATURE" in answer["signature"], answer
print(f"{REQUESTS} requests answered and signed", flush=True)
