# Migrates with Django: create, up or down.
import os
import sys

import pymysql

pymysql.version_info = (1, 4, 6, "final", 0)  # of mysqlclient, which Django would rather have
pymysql.install_as_MySQLdb()

import django
from django.conf import settings
from django.core.management import call_command

env = os.environ
settings.configure(
    INSTALLED_APPS=["shop"],
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    DATABASES={"default": {"ENGINE": "django.db.backends.mysql", "HOST": env["DB_HOST"], "PORT": env["DB_PORT"],
                           "USER": env["DB_USER"], "PASSWORD": env["DB_PASSWORD"], "NAME": env["DB_NAME"]}},
)
django.setup()
call_command("migrate", "shop", *([] if sys.argv[1] == "up" else ["0001"]), verbosity=1)
