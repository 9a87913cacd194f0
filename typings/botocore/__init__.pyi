# The part of botocore that mlops_kit calls. Clients are made at run time, from the descriptions of the services.
