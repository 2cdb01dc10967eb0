"""The small tables: customers, products, people, employees and the like."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from sandbox.adventureworks.generated_columns import below, choice, decimals, guids, numbers, pattern
from sandbox.adventureworks.orders import ADDRESSES, CUSTOMERS, FIRST_PRODUCT, PRODUCTS, list_price

_FIRST = ["João", "Conceição", "José", "Antônia", "Luís", "Mônica", "Gonçalo", "Ângela", "Íris", "Zoë", "Çelik", "Ana"]
_LAST = ["Gonçalves", "Magalhães", "Araújo", "Simões", "D'Ávila", "Sant’Anna", "São João", "Brandão 🌻", "Assunção", "Lima"]
_CITIES = ["São José dos Campos", "Brasília", "Belém", "Florianópolis", "Évora", "Coimbra", "Niterói", "Goiânia"]
_DEPARTMENTS = ["Engenharia", "Produção", "Expedição", "Finanças", "Relações Públicas", "Manutenção", "Inspeção", "Vendas"]
_JOBS = ["Chefe de Produção", "Técnico", "Vendedor", "Comprador", "Engenheiro", "Diretor"]
_TERRITORIES = [
    ("Northwest", "US", "North America"),
    ("Brasil Sul", "BR", "South America"),
    ("France", "FR", "Europe"),
    ("Germany", "DE", "Europe"),
    ("Portugal", "PT", "Europe"),
    ("Canada", "CA", "North America"),
    ("Australia", "AU", "Pacific"),
    ("Nordeste", "BR", "South America"),
    ("España", "ES", "Europe"),
    ("日本", "JP", "Pacific"),
]
_DAY = 86_400_000_000


def small_tables() -> dict[str, pa.Table]:
    """All of them by `schema.name`."""
    person = np.arange(1, 401)
    staff, address = np.arange(1, 291), np.arange(1, ADDRESSES + 1)
    customer, product, note = np.arange(CUSTOMERS), np.arange(PRODUCTS), np.arange(600)
    department, category, territory = np.arange(1, len(_DEPARTMENTS) + 1), np.arange(1, 5), np.arange(1, 11)
    contact = [None if n % 7 else f"<contato><nome>Pessoa {n}</nome><emoji>😀</emoji></contato>" for n in person.tolist()]
    manager = [None if n == 1 else f"/{n % 6 + 1}/" if n < 8 else f"/{n % 6 + 1}/{n}/" for n in staff.tolist()]
    place = [None if n % 9 == 0 else f"POINT (-{40 + n % 9}.{n} -{20 + n % 7}.5)" for n in address.tolist()]
    return {
        "Sales.Customer": _table(
            customer,
            200,
            {
                "CustomerID": _int(11_000 + customer),
                "PersonID": _int(1 + customer % 400),
                "StoreID": numbers(292 + customer % 700, pa.int32(), customer % 3 == 0),
                "TerritoryID": _int(1 + below(201, customer, 10)),
                "AccountNumber": pattern("AW########", 11_000 + customer),
            },
        ),
        "Sales.SalesTerritory": _table(
            territory,
            210,
            {
                "TerritoryID": _int(territory),
                "Name": pa.array([t[0] for t in _TERRITORIES]),
                "CountryRegionCode": pa.array([t[1] for t in _TERRITORIES]),
                "Group": pa.array([t[2] for t in _TERRITORIES]),
                "SalesYTD": decimals(below(211, territory, 10**11), 19, 4),
            },
        ),
        "Production.Product": _table(
            product,
            220,
            {
                "ProductID": _int(FIRST_PRODUCT + product),
                "Name": pattern("Peça ####".replace("ç", "c"), product),
                "ProductNumber": pattern("PC-####", product),
                "MakeFlag": pa.array(below(221, product, 2) == 1),
                "Color": choice(["Preto", "Vermelho", "Azul", None], below(222, product, 4)),
                "ListPrice": decimals(list_price(product), 19, 4),
                "Weight": decimals(below(223, product, 100_000), 8, 2),
                "ProductCategoryID": numbers(1 + below(224, product, 4), pa.int32(), below(225, product, 5) > 0),
                "SellStartDate": numbers(15_000 * _DAY + product * _DAY, pa.timestamp("us")),
            },
        ),
        "Production.ProductCategory": _table(
            category,
            230,
            {
                "ProductCategoryID": _int(category),
                "Name": pa.array(["Bicicletas", "Componentes", "Roupas", "Acessórios"]),
            },
        ),
        "Production.TransactionNotes": pa.table(
            {
                "ProductID": _int(FIRST_PRODUCT + note % 5),
                "Quantity": _int(note % 3),
                "Note": choice(["duplicada", "igual à outra", None, "x"], note % 4),
                # 100 ns since 0001-01-01; 30 distinct values
                "NotedAt": pa.array(639_000_000_000_000_000 + note % 30),
            }
        ),
        "Production.EmptyShelf": pa.table(
            {
                "ShelfID": pa.array([], pa.int32()),
                "Label": pa.array([], pa.string()),
                "CheckedAt": pa.array([], pa.int64()),
            }
        ),
        "Person.Person": _table(
            person,
            240,
            {
                "BusinessEntityID": _int(person),
                "PersonType": choice(["EM", "IN", "SC"], below(241, person, 3)),
                "Title": choice(["Sr.", "Sra.", None], below(242, person, 3)),
                "FirstName": choice([*_FIRST], below(243, person, 12)),
                "LastName": choice([*_LAST], below(244, person, 10)),
                "EmailPromotion": _int(below(245, person, 3)),
                "AdditionalContactInfo": pa.array(contact, pa.string()),
            },
        ),
        "Person.Address": _table(
            address,
            250,
            {
                "AddressID": _int(address),
                "AddressLine1": pattern("Rua ###, casa ##", below(251, address, 10**5)),
                "AddressLine2": choice(["fundos", "", None, None], below(252, address, 4)),
                "City": choice([*_CITIES], below(253, address, 8)),
                "PostalCode": pattern("#####-###", below(254, address, 10**8)),
                "SpatialLocation": pa.array(place, pa.string()),
            },
        ),
        "HumanResources.Employee": _table(
            staff,
            260,
            {
                "BusinessEntityID": _int(staff),
                "NationalIDNumber": pattern("#########", 100_000_000 + staff * 37),
                "LoginID": pattern("adventure-works\\user###", staff),
                "OrganizationNode": pa.array(manager, pa.string()),
                "JobTitle": choice([*_JOBS], below(261, staff, 6)),
                "BirthDate": numbers(-6_000 + below(262, staff, 14_000), pa.date32()),
                "MaritalStatus": choice(["M", "S"], below(263, staff, 2)),
                "Gender": choice(["F", "M"], below(264, staff, 2)),
                "HireDate": numbers(13_000 + below(265, staff, 2_500), pa.date32()),
                "SalariedFlag": pa.array(below(266, staff, 3) == 0),
                "VacationHours": numbers(below(267, staff, 100), pa.int16()),
                "CurrentFlag": pa.array(staff > 3),
                "DepartmentID": numbers(1 + below(268, staff, 8), pa.int16()),
            },
        ),
        "HumanResources.Department": pa.table(
            {
                "DepartmentID": numbers(department, pa.int16()),
                "Name": pa.array(_DEPARTMENTS),
                "GroupName": choice(["Operações", "Administração"], department % 2),
                "ModifiedDate": numbers(department * 0 + 14_000 * _DAY, pa.timestamp("us")),
            }
        ),
    }


def _int(values: Any) -> pa.Array:
    return numbers(values, pa.int32())


def _table(rows: Any, salt: int, columns_: dict[str, pa.Array]) -> pa.Table:
    """With the two columns that end almost every table of AdventureWorks."""
    changed = (15_000 + below(salt + 8, rows, 900)) * _DAY + below(salt + 9, rows, 86_400) * 1_000_000
    tail = {"rowguid": guids(salt + 50_000, rows), "ModifiedDate": numbers(changed, pa.timestamp("us"))}
    return pa.table({**columns_, **tail})
