from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("billing", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="checkoutorder",
            name="parameters",
            field=models.JSONField(default=dict),
        ),
        migrations.AddField(
            model_name="checkoutorder",
            name="returned_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]
