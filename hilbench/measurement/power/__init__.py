"""From a recording of samples to windows, charge and energy. Pure: no I/O, no drivers, no pandas.

``windows`` finds what the marker pin framed, ``pattern`` the same without a pin, ``tail`` what lies
between board and meter, ``integrate`` charge and energy of every window in one streaming pass.
"""
