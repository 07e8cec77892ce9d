from django.db import migrations, models


class Migration(migrations.Migration):
    operations = [
        migrations.CreateModel("Account", [
            ("id", models.BigAutoField(primary_key=True)),
            ("name", models.CharField(max_length=50)),
            ("hits", models.IntegerField(default=0)),
            ("note", models.CharField(max_length=20, null=True)),
            ("old", models.IntegerField(null=True)),
        ], options={"db_table": "accounts"}),
    ]
