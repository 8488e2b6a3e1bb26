"""Python runs this before Fail2Ban's programs: what TestSideBySide changes in them.

The clock is the time of the file $CLOCK. Looks for news are 20 ms apart, not 200. And
what forgets failures older than findtime runs when a line blames $MARKER, as each step
of the recording ends with one; in life it runs at some of the looks, by a count of them,
and at bans.
"""
import os
import types

from fail2ban.server.filter import Filter
from fail2ban.server.mytime import MyTime
from fail2ban.server.utils import Utils


def clocked(function):
    def call(*args):
        MyTime.setTime(os.stat(os.environ["CLOCK"]).st_mtime)
        return function(*args)

    return staticmethod(call)


for name in "time", "now", "gmtime", "localtime":
    setattr(MyTime, name, clocked(getattr(MyTime, name)))

for name in "get", "set":  # what is remembered of a connection
    was = getattr(Utils.Cache, name)
    setattr(Utils.Cache, name, types.FunctionType(was.__code__, dict(was.__globals__, time=MyTime), name, was.__defaults__))

Utils.DEFAULT_SLEEP_INTERVAL = 0.02

forget, tell = Filter.performSvc, Filter.logIgnoreIp
Filter.performSvc = lambda self, force=False: None


def ignored(self, ip, log_ignore, ignore_source="unknown source"):
    if str(ip) == os.environ["MARKER"]:
        forget(self, True)
    tell(self, ip, log_ignore, ignore_source)


Filter.logIgnoreIp = ignored
