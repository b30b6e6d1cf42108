"""Makes `twistd wsservice` known. It imports nothing of wsservice: twistd reads every plugin, whatever it starts."""

from twisted.application.service import ServiceMaker

wsservice = ServiceMaker(
    "wsservice",
    "wsservice.tap",
    "A realtime server for browsers that log in by cookie: WebSocket and Cognito.",
    "wsservice",
)
