from django.db import models


class Account(models.Model):
    name = models.CharField(max_length=60, unique=False, db_index=True)
    hits = models.BigIntegerField(default=0)
    remark = models.TextField(null=True)
    state = models.CharField(max_length=10, default="new")

    class Meta:
        db_table = "accounts"
        constraints = [models.UniqueConstraint(fields=["name", "id"], name="both_of")]
