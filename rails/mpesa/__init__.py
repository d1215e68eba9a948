"""M-Pesa in Kenya as a rail: STK push and B2C by Safaricom's Daraja, whole shillings only."""
