-- What each customer is worth. The first order is the one that was placed first, whatever its time.
SELECT c.customer_id,
       c.name,
       c.country,
       (SELECT count(*) FROM orders AS o WHERE o.customer_id = c.customer_id) AS orders,
       (SELECT CAST(coalesce(sum(l.quantity), 0) AS BIGINT)
          FROM orders AS o JOIN order_lines AS l ON l.order_id = o.order_id
         WHERE o.customer_id = c.customer_id) AS pieces,
       (SELECT CAST(coalesce(sum(l.quantity * l.unit_price_pence), 0) AS BIGINT)
          FROM orders AS o JOIN order_lines AS l ON l.order_id = o.order_id
         WHERE o.customer_id = c.customer_id) AS spent_pence,
       (SELECT count(*) FROM returns AS r WHERE r.customer_id = c.customer_id) AS returns,
       (SELECT CAST(coalesce(sum(r.refund_pence), 0) AS BIGINT)
          FROM returns AS r WHERE r.customer_id = c.customer_id) AS refunded_pence,
       (SELECT o.placed_at FROM orders AS o WHERE o.customer_id = c.customer_id
         ORDER BY o.nth LIMIT 1) AS first_order_at,
       (SELECT o.placed_at FROM orders AS o WHERE o.customer_id = c.customer_id
         ORDER BY o.nth DESC LIMIT 1) AS last_order_at
  FROM customers AS c
