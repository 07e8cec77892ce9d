from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("shop", "0002_add")]
    operations = [
        migrations.RemoveIndex("Account", "name_hits"),
        migrations.AlterField("Account", "hits", models.BigIntegerField(default=0)),
        migrations.RenameField("Account", "note", "remark"),
        migrations.AlterField("Account", "remark", models.TextField(null=True)),
    ]
