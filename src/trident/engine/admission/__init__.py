"""Who may enter the engine now, who waits in front of it, and who is sent away at once.

ticket        a request's place, with what it is guessed to cost before anything is known of it
fair_queue    the requests of one priority, fair to their clients
waiting       those of all priorities, within their bounds
service_rate  how fast the engine works off what it is given
limits        the bounds, from the settings and the engine's own
control       the decisions
counts        what the metrics page shows of them

No vLLM in here, and no clock: time is handed in.
"""
