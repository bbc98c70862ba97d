"""
The Freddy API as pure functions and values: no Airflow, no network.

``request`` builds what is sent, ``reply`` reads what comes back, ``problem`` names what can go wrong,
``retry`` decides what may be sent again and when, ``cancel`` is the cancel protocol on top of them.
"""
