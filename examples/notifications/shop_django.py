"""A shop in Django, in one file, which tells customers of their orders by `POST /api/emit` and a key: no Redis.

A signal sees that an order was saved; only when the transaction has been committed is anybody told.
"""

import json
import logging
import os
import sys
from urllib.request import Request, urlopen

import django
from django.conf import settings

settings.configure(
    ALLOWED_HOSTS=["localhost", "127.0.0.1", "testserver"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ.get("SHOP_DB", "shop.sqlite3")}},
    ROOT_URLCONF=__name__,
    SECRET_KEY=os.environ.get("SHOP_SECRET_KEY", "for this example only"),
)
django.setup()

from django.core.management import execute_from_command_line  # noqa: E402
from django.db import connection, models, transaction  # noqa: E402
from django.db.models.signals import post_save  # noqa: E402
from django.dispatch import receiver  # noqa: E402
from django.http import JsonResponse  # noqa: E402
from django.urls import path  # noqa: E402
from django.views.decorators.http import require_POST  # noqa: E402

log = logging.getLogger(__name__)
SERVICE = os.environ.get("WSSERVICE_URL", "http://localhost:3020")


class Order(models.Model):
    """What somebody ordered."""

    customer = models.CharField(max_length=100)
    shipped = models.BooleanField(default=False)

    class Meta:
        app_label = "shop"


@receiver(post_save, sender=Order)
def order_saved(instance, **more):
    """An order that leaves the house is told of, once that is certain."""
    if instance.shipped:
        transaction.on_commit(lambda: notify(instance))


def notify(order):
    """Tell an order's customer, if he is there; the shop goes on, whatever becomes of that."""
    message = {
        "event": "notification",
        "data": {"order": order.pk, "text": "Your order is on its way."},
        "room": f"user:{order.customer}",
    }
    request = Request(f"{SERVICE}/api/emit", json.dumps(message).encode(), method="POST")  # noqa: S310
    request.add_header("Authorization", f"Bearer {os.environ['WSSERVICE_API_KEY']}")
    request.add_header("Content-Type", "application/json")
    try:
        urlopen(request, timeout=1.0).close()  # noqa: S310
    except OSError:
        log.exception("the customer of order %s was not told", order.pk)


@require_POST
def ship(request, number, customer):
    """The order leaves the house."""
    with transaction.atomic():
        Order.objects.update_or_create(pk=number, defaults={"customer": customer, "shipped": True})
    return JsonResponse({"shipped": number})


urlpatterns = [path("orders/<int:number>/ship/<str:customer>", ship)]


def make_tables():
    """Instead of migrations, which want a package."""
    if Order._meta.db_table not in connection.introspection.table_names():
        with connection.schema_editor() as editor:
            editor.create_model(Order)


if __name__ == "__main__":
    make_tables()
    execute_from_command_line(sys.argv)
