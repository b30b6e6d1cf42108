"""Makes `twistd wsservice` known. It imports nothing of wsservice: twistd reads every plugin, whatever it starts."""

from twisted.application.service import ServiceMaker

wsservice = ServiceMaker(
    "wsservice",
    "wsservice.tap",
    "Realtime server: WebSocket, Socket.IO, login by cookie",
    "wsservice",
)
