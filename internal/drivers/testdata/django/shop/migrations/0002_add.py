from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("shop", "0001_create")]
    operations = [
        migrations.AddField("Account", "state", models.CharField(max_length=10, default="new")),
        migrations.AddIndex("Account", models.Index(fields=["name", "hits"], name="name_hits")),
    ]
