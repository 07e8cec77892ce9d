from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("shop", "0003_change")]
    operations = [
        migrations.RemoveField("Account", "old"),
        migrations.AlterField("Account", "name", models.CharField(max_length=60, db_index=True)),
        migrations.AddConstraint("Account", models.UniqueConstraint(fields=["name", "id"], name="both_of")),
    ]
