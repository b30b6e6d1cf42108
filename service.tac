"""The service for `twistd -n -y service.tac`: the same as `twistd -n wsservice`, with flags that stand here.

Settings come from the environment and from `.env`, as ever; what stands in `FLAGS` wins over both.
"""

from twisted.application.service import Application

from wsservice.tap import Options, makeService

FLAGS: list[str] = []  # such as ["--port", "3021", "--app", "chat:app"]

options = Options()
options.parseOptions(FLAGS)
application = Application("wsservice")
makeService(options).setServiceParent(application)
